module boot.miniaws

go 1.26
