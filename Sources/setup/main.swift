import Glibc

exit(SetupProgram.run(Array(CommandLine.arguments.dropFirst())).rawValue)
