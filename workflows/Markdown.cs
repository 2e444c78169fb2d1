namespace SnapshotFlow.Workflows;

/// <summary>Text of others in the Markdown that the Temporal UI shows.</summary>
internal static class Markdown
{
    /// <summary>One cell of a table: what a back end says may have lines and bars of its own.</summary>
    public static string? Cell(string? text) => text?.ReplaceLineEndings(" ").Replace("|", "\\|", StringComparison.Ordinal);
}
