"""The run browser: a local page over a folder of runs.

    contents  what the files of one run say, as far as they can be believed
    folders   a folder of runs → what the page shows of them; plain values, no HTTP
    card      a run's README → safe HTML, and the pictures beside it
    texts     every string of the page, in the language asked for
    app       HTTP: routes, ETags, safe headers
    server    one process that serves the page until it is told to stop
    page/     HTML, CSS and JavaScript, as the browser gets them

Does not know: how a run is made. It reads run folders and never writes.
"""
