"""The commands of `zerofarm`, each a thin face over the module that does the work."""
