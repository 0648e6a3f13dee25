import Glibc

exit(ProxyCommand.run(Array(CommandLine.arguments.dropFirst())).rawValue)
