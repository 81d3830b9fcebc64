"""Deploy: a model, or a training, on SageMaker; and the container that does both there.

    container        what SageMaker asks of an image: its folders, `train`, `serve`, the failure file
    hosting          `serve`: olhar.serving with the defaults of a container
    job              `train`: hyperparameters and channels in, model and run out
    hyperparameters  strings become settings, every one checked
    settings         what is asked of SageMaker, checked before anything is called
    aws              one call of the API, its trouble explained
    archive          folders as tar.gz: packed the same each time, unpacked safely
    package          a model as it is uploaded, and the question that proves that it arrived
    endpoint         a model becomes an endpoint that answers as it does here, or nothing is left
    training_job     a training that runs there: started, followed, fetched

Serving needs no torch.
"""
