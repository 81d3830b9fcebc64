"""Many photos → rows in one result, on this machine or a Ray cluster.

    sources, tables, walking   what is named → photos, one by one
    answering                  a block of photos → rows; pool and ray_engine run it
    formats, results           rows → files, and the journal by which a result goes on
    predicting                 the order of these

Does not know: torch, or how a model was trained.
"""
