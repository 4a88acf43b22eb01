"""The same work on many processes and machines: the only package that imports Ray."""
