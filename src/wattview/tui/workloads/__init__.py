"""Screen 3: workloads and containers, as a list or a tree, and what is known of one of them."""
