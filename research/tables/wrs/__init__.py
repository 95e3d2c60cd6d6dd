"""The WRS paper: the shapes and norms of saved weights (Fig. 3-5). Its tables are comparisons."""
