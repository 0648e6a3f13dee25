import Glibc

exit(FakeCommand.run(Array(CommandLine.arguments.dropFirst())))
