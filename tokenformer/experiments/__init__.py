"""Whether one way of training is better than another: grids of runs, their statistics, and the page that answers."""
