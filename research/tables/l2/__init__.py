"""The L2 paper: the filter norm at equilibrium (Table 1). Its figures are comparisons."""
