"""An order board: one process takes orders, another shows them live; either may die, nothing is missed."""
