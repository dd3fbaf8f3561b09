"""DP-FedAvg on Flower: aggregation, strategy, clients and the simulation in one process."""
