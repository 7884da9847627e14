"""The command line's commands, one module a family; each is imported only when it is called."""
