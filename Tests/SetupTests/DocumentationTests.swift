import Glibc
import Testing
import TunnelCLI

@testable import setup

/// Holds docs/setup.md and README.md against the table of commands, in both directions.
@Suite struct DocumentationTests {
    private static func lines(_ path: String) throws -> [Substring] {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let file = try #require(fopen("/\(root)/\(path)", "r"), "\(path) cannot be read")
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let size = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<size], as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// What the document says of one command: the lines from its heading to the next one.
    private struct Section {
        let name: String
        var lines: [Substring] = []

        /// The first two cells of each row of its table that begins with a flag.
        var flags: [String] {
            lines.filter { $0.hasPrefix("| `--") }.map { line in
                let cells = line.replacing("\\|", with: "/").split(separator: "|", omittingEmptySubsequences: false)
                return cells[1...2].map { String($0.filter { $0 != "`" && $0 != " " }) }.joined(separator: " ")
            }
        }
    }

    private static func sections() throws -> [Section] {
        var sections: [Section] = []
        var isInside = false
        for line in try lines("docs/setup.md") {
            if line.hasPrefix("#") {
                isInside = line.hasPrefix("### `setup ")
                if isInside { sections.append(Section(name: String(line.dropFirst(11).dropLast()))) }
            } else if isInside {
                sections[sections.count - 1].lines.append(line)
            }
        }
        return sections
    }

    /// As ``Section/flags`` has it.
    private static func row(_ flag: CommandFlag) -> String {
        "--\(flag.name)\(flag.value?.replacing("|", with: "/") ?? "") \(flag.variable ?? "")"
    }

    @Test func describesEveryCommandAndNoOther() throws {
        #expect(try Self.sections().map(\.name) == SetupCommands.table.commands.map(\.name))
    }

    @Test(arguments: SetupCommands.table.commands.map(\.name))
    func describesEveryFlagOfACommandAndNoOther(name: String) throws {
        let command = try #require(SetupCommands.table.commands.first { $0.name == name })
        let section = try #require(try Self.sections().first { $0.name == name })
        #expect(section.flags == command.flags.map(Self.row))
    }

    @Test(arguments: SetupCommands.table.commands.map(\.name))
    func hasTheExampleOfTheHelp(name: String) throws {
        let command = try #require(SetupCommands.table.commands.first { $0.name == name })
        let section = try #require(try Self.sections().first { $0.name == name })
        #expect(section.lines.contains { $0 == "    \(command.example)" })
    }

    /// There, the commands of a group share a row: `tunnels list`, `get`, `archive`.
    @Test func theReadmeListsEveryCommandAndNoOther() throws {
        let section = try Self.lines("README.md").drop { $0 != "### setup" }.dropFirst().prefix { !$0.hasPrefix("#") }
        let names = section.filter { $0.hasPrefix("| `") }.flatMap { line in
            let parts = line.split(separator: "|")[0].split(separator: "`")
            let cell = parts.filter { part in !part.allSatisfy { ", ".contains($0) } }
            let group = cell.first?.split(separator: " ").first ?? ""
            return cell.enumerated().map { $0.offset == 0 ? String($0.element) : "\(group) \($0.element)" }
        }
        #expect(names == SetupCommands.table.commands.map(\.name))
    }
}
