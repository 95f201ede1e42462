module edged

go 1.24
