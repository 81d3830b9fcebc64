"""Networks by name. The tables (`specs`) are torch-free; `build` makes them compute."""
