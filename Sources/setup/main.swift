import Glibc

// Not exit(): it would take OpenSSL down while a thread may still be making a key that nobody waits for any more.
_exit(SetupProgram.run(Array(CommandLine.arguments.dropFirst())).rawValue)
