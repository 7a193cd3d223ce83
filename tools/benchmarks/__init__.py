"""Our speed beside the article's code: `make bench`."""
