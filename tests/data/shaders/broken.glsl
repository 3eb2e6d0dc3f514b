// Does not compile.
struct fine { uint a; };
struct broken { no_such_type a; };
