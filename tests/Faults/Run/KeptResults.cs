using System.Text.Json;

namespace SnapshotFlow.Tests.Faults.Run;

/// <summary>Results that outlive the run that they are of, so that a matrix that was broken off is gone on with.</summary>
/// <param name="file">Where; null for nowhere.</param>
public sealed class KeptResults(string? file)
{
    /// <summary>What was kept before.</summary>
    public IReadOnlyList<CaseResult> Read() => file is not null && File.Exists(file) ? JsonSerializer.Deserialize<List<CaseResult>>(File.ReadAllText(file))! : [];

    /// <summary>Keeps these, and no others.</summary>
    public void Write(IReadOnlyList<CaseResult> results)
    {
        if (file is not null)
        {
            File.WriteAllText(file + ".next", JsonSerializer.Serialize(results));
            File.Move(file + ".next", file, overwrite: true);
        }
    }
}
