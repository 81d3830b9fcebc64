"""The studio: from nothing to a classifier in the browser, by folders, runs and commands of olhar."""
