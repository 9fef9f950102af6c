# The plot of tools/quickstart: accuracy and time over dimension. Called with published.csv.
set datafile separator ","
set datafile missing ""
set key autotitle columnhead
set key left top reverse Left
set grid
set logscale x 2
set xlabel "dimension"
set xtics ("128" 128, "256" 256, "512" 512, "2048" 2048, "4000" 4000, "16000" 16000)
set xrange [100:20000]

published = ARG1
# Lines of one kind in a table whose first column names it.
pick(kind, x) = (strcol(1) eq kind ? x : NaN)

do for [kind in "svg png"] {
    if (kind eq "svg") {
        set terminal svg size 1100,460 font "DejaVu Sans,12" background "white"
    } else {
        set terminal pngcairo size 1100,460 font "DejaVu Sans,10"
    }
    set output "simulated.".kind
    set multiplot layout 1,2 title "SIMULATED embeddings of Da-TACOS's shape (15,000 songs) beside published numbers"
    set ylabel "MAP"
    unset logscale y
    set yrange [0.38:0.62]
    plot "results.csv" using 2:(pick("move", $3)) with linespoints pt 7 lw 2 title "vindex, MOVE simulated", \
         "results.csv" using 2:(pick("re-move", $3)) with points pt 5 ps 1.3 title "vindex, Re-MOVE simulated", \
         "results.csv" using 2:(pick("pca", $3)) with points pt 9 ps 1.3 title "vindex, PCA of MOVE-16k simulated", \
         published using 2:(pick("pca", $3)) with points pt 10 ps 1.3 title "paper, PCA of MOVE-16k", \
         published using 2:(pick("move", $3)) with linespoints pt 6 dt 2 title "paper, MOVE of that size", \
         published using 2:(pick("projection", $3)) with linespoints pt 4 dt 3 title "paper, random projection", \
         published using 2:(pick("re-move", $3)) with points pt 8 ps 1.3 title "paper, Re-MOVE"
    set ylabel "seconds per query, in proportion to 10,000,000 songs"
    set logscale y
    set yrange [0.01:1000]
    plot "results.csv" using 2:(pick("move", $10)) with linespoints pt 7 lw 2 title "vindex, one query on one core", \
         "results.csv" using 2:(pick("move", $11)) with linespoints pt 5 lw 2 title "vindex, batch of 1,000, per query", \
         published using 2:(pick("time", $5)) with linespoints pt 6 dt 2 title "paper, brute force"
    unset multiplot
    unset output
}
