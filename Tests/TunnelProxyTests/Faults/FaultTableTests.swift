import Glibc
import Testing
import TunnelPKI
import TunnelProxy

/// Holds the table of faults against itself, against those who name faults, and against docs/troubleshooting.md, whose part
/// between the marks is made from it: `UPDATE_DOCUMENTS=1 swift test --filter FaultTableTests` writes it anew.
@Suite struct FaultTableTests {
    private static let page = path("docs/troubleshooting.md")
    private static let marks = ("<!-- faults: made from Sources/TunnelProxy/Faults -->\n", "<!-- end of faults -->\n")

    private static func path(_ name: String) -> String {
        "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/") + "/" + name
    }

    private static func read(_ path: String) throws -> String {
        let file = try #require(fopen(path, "r"), "\(path) cannot be read")
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        return String(decoding: bytes[..<fread(&bytes, 1, bytes.count, file)], as: UTF8.self)
    }

    /// The part of the page.
    private static var tables: String {
        var text = ""
        for section in Fault.sections {
            text +=
                "\n### \(section.title)\n\n| name | what it is | what is seen | cause | remedy |\n|---|---|---|---|---|\n"
            for fault in section.faults {
                let mark = fault.level == .warn ? " (warning)" : ""
                text += "| `\(fault.id)`\(mark) | \(fault.title) | \(fault.sign) | \(fault.cause) | \(fault.remedy) |\n"
            }
        }
        return text + "\n"
    }

    @Test func pageHasTheTable() throws {
        var text = try Self.read(Self.page)
        let start = try #require(text.firstRange(of: Self.marks.0)).upperBound
        let end = try #require(text.firstRange(of: Self.marks.1)).lowerBound
        if getenv("UPDATE_DOCUMENTS") != nil {
            text.replaceSubrange(start..<end, with: Self.tables)
            let file = try #require(fopen(Self.page, "w"))
            fputs(text, file)
            fclose(file)
            return
        }
        let isTheSame = text[start..<end] == Self.tables
        #expect(isTheSame, "UPDATE_DOCUMENTS=1 swift test --filter FaultTableTests writes docs/troubleshooting.md anew")
    }

    @Test func namesAreUniqueAndWellFormed() {
        let ids = Fault.all.map(\.id)
        #expect(Set(ids).count == ids.count)
        for id in ids {
            #expect(
                id.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }, "\(id)")
            #expect(Fault.named(id)?.id == id)
        }
        #expect(Fault.named("nothing") == nil)
    }

    @Test func eachHasItsWords() {
        for fault in Fault.all {
            for words in [fault.title, fault.sign, fault.cause, fault.remedy] {
                #expect(
                    !words.isEmpty && !words.hasSuffix(".") && !words.contains("|") && !words.contains("\n"),
                    "\(fault.id)")
            }
        }
        #expect(Set(Fault.all.map(\.title)).count == Fault.all.count)
    }

    /// A fault that is declared and left out of its list would be in no table.
    @Test func eachThatIsDeclaredIsInTheTable() throws {
        var declared = 0
        for file in ["Configuration", "Certificate", "Tunnel", "Upstream", "MCP"] {
            let text = try Self.read(Self.path("Sources/TunnelProxy/Faults/Fault+\(file).swift"))
            declared += text.split(separator: "package static let ").count - 1
            declared += text.split(separator: "\n").count { $0.hasPrefix("        rule(") }
        }
        #expect(declared == Fault.all.count)
    }

    @Test func startupFindingsAreInTheTable() {
        let ids: [StartupFinding.ID] = [
            .validationOff, .everyAddressAllowed, .upstreamRefused, .publicListener, .keyReadableByOthers,
        ]
        for id in ids { #expect(Fault.named(id.rawValue) != nil, "\(id.rawValue)") }
    }

    /// As TunnelPKI declares them.
    @Test func rulesOfCertificatesAreInTheTable() throws {
        let text = try Self.read(Self.path("Sources/TunnelPKI/Requirements/Finding.swift"))
        let ids = text.split(separator: "Self(").dropFirst().compactMap { part -> String? in
            part.firstRange(of: "id: \"").map { String(part[$0.upperBound...].prefix { $0 != "\"" }) }
        }
        #expect(ids.count > 25)
        for id in ids { #expect(Fault.named(id) != nil, "\(id)") }
    }
}
