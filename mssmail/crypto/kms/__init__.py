"""Key providers: who holds the root key. `interface` says what one must do; app chooses among the others."""
