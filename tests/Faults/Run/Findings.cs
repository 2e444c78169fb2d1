namespace SnapshotFlow.Tests.Faults.Run;

/// <summary>What did not hold, one sentence each, beginning with the name of the promise.</summary>
public sealed class Findings
{
    private readonly List<string> violations = [];

    /// <summary>All of them.</summary>
    public IReadOnlyList<string> All => violations;

    /// <summary>Notes a sentence unless something holds.</summary>
    public void Check(bool holds, string otherwise)
    {
        if (!holds)
        {
            violations.Add(otherwise);
        }
    }
}
