"""A search for hyper-parameters in each fold, inside its training part only."""
