/* Whether a function keeps its variables while signals are handled. */
int leaf_keeps_what_it_has(void);
