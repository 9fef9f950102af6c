# The plot of tools/quickstart for one's own embeddings: how average precision spreads over queries.
set key left top reverse Left
set grid
set xlabel "share of queries"
set ylabel "average precision at most"
set xrange [0:1]
set yrange [0:1]

do for [kind in "svg png"] {
    if (kind eq "svg") {
        set terminal svg size 640,460 font "DejaVu Sans,12" background "white"
    } else {
        set terminal pngcairo size 640,460 font "DejaVu Sans,10"
    }
    set output "own.".kind
    plot for [metric in "l2 cosine"] "ap-".metric.".txt" using 1:2 with steps lw 2 title metric
    unset output
}
