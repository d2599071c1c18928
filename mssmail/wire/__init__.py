"""Protocol texts as values and back, without any I/O."""
