import Glibc
import TunnelCLI

let status = SetupProgram.run(Array(CommandLine.arguments.dropFirst()))
// Not exit(3): that lets OpenSSL take itself down, and a key that nobody waits for any more may still be in the making on
// another thread. Nothing of ours is left to be done at the end; output is written, not buffered.
_exit(status.rawValue)
