import Testing

@testable import setup

@Suite struct TextTableTests {
    @Test func columnsStandUnderEachOther() {
        let rows = [["ID", "STATE", "NAME"], ["tnl_0123", "active", ""], ["t", "a", "a name"]]
        #expect(TextTable.of(rows) == "ID        STATE   NAME\ntnl_0123  active  \nt         a       a name")
    }

    @Test func nothingIsNothing() { #expect(TextTable.of([]) == "") }
}
