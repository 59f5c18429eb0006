# xxd comes with vim.
unpack vim
program xxd src/src/xxd/xxd.c
