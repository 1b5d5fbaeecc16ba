"""Registries and limiters over the engines that memory's stores run on. Only wiring chooses among them."""
