"""Components for capsmed: a routing, a backbone and a data source."""
