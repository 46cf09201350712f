"""Two reports of one kind, figure by figure: what is better, what is worse, what cannot be told apart."""
