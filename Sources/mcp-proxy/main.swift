import Glibc
import TunnelCLI

let status = ProxyProgram.run(Array(CommandLine.arguments.dropFirst()))
// Not exit(3): that lets OpenSSL take itself down, and after a shutdown that was cut short a thread may still be using it.
fflush(nil)
_exit(status.rawValue)
