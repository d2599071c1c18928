"""What an operator may set: the model with its sentences, how it is read, and its description. Knows no other room."""
