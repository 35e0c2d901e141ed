"""The commands of `zerofarm`; each calls the module that does the work."""
