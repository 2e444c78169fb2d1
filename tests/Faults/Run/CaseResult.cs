namespace SnapshotFlow.Tests.Faults.Run;

/// <summary>How a case went.</summary>
/// <param name="Name">The case.</param>
/// <param name="Outcome">How the run ended: the status of its record, and for a completed one the consistency of its image.</param>
/// <param name="Violations">Which invariants did not hold; empty when all did.</param>
/// <param name="OverDeadlineMs">How far the longest freeze went over the freeze deadline: negative is below. Null when there was no freeze.</param>
/// <param name="SettledMs">From the end of the fault to the end of the run; negative when the run ended before.</param>
public sealed record CaseResult(string Name, string Outcome, IReadOnlyList<string> Violations, double? OverDeadlineMs, double SettledMs)
{
    /// <summary>Whether all invariants held.</summary>
    public bool Held => Violations.Count == 0;
}
