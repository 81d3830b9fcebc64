"""The studio: from nothing to a classifier in the browser, each step the folder, run and command of olhar."""
