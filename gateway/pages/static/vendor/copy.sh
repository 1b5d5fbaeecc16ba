#!/usr/bin/env bash
# Copies what the pages use, with its licences, out of installed packages: copy.sh NODE_MODULES FOLDER
set -euo pipefail
cp "$1/htmx.org/dist/htmx.min.js" "$2/htmx.min.js"
cp "$1/htmx.org/LICENSE" "$2/htmx.LICENSE"
cp "$1/htmx-ext-sse/dist/sse.min.js" "$2/htmx-sse.min.js"
cp "$1/htmx-ext-sse/LICENSE" "$2/htmx-sse.LICENSE"
cp "$1/uplot/dist/uPlot.iife.min.js" "$2/uplot.min.js"
cp "$1/uplot/dist/uPlot.min.css" "$2/uplot.min.css"
cp "$1/uplot/LICENSE" "$2/uplot.LICENSE"
