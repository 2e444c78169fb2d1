using System.Text.Json;
using System.Text.Json.Serialization;

namespace SnapshotFlow.DemoGuest;

/// <summary>What a set of disks says about the moments at which they were copied.</summary>
/// <param name="Consistent">Whether one moment explains all disks.</param>
/// <param name="Sequences">The last sequence number of each disk in order; -1 for one that could not be read.</param>
/// <param name="Reason">Why not; null when consistent.</param>
public sealed record WitnessReport(
    [property: JsonPropertyName("consistent")] bool Consistent,
    [property: JsonPropertyName("sequences")] IReadOnlyList<long> Sequences,
    [property: JsonPropertyName("reason")] string? Reason)
{
    /// <summary>The report as one line of JSON.</summary>
    public string ToJson() => JsonSerializer.Serialize(this);
}

/// <summary>
/// Tells whether copies of the demo guest's disks are of one moment. The guest writes number n to disk 1, then 2, then 3, each write on stable storage before the
/// next begins. So at every moment each disk has all records up to its last one, no disk is ahead of the one before it, and the last is at most one behind
/// the first. Copies for which that does not hold were not taken at one moment.
/// </summary>
public static class Witness
{
    /// <summary>Reads the disks, in the order in which the guest has them. Damage is a report, not an exception.</summary>
    /// <param name="paths">One file per disk, at least one.</param>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">A file may not be read.</exception>
    public static WitnessReport Read(IReadOnlyList<string> paths)
    {
        ArgumentOutOfRangeException.ThrowIfZero(paths.Count);
        var reasons = new List<string>();
        var sequences = new List<long>();
        for (var i = 0; i < paths.Count; i++)
        {
            try
            {
                sequences.Add(WitnessDisk.ReadLast(paths[i], i + 1));
            }
            catch (InvalidDataException e)
            {
                sequences.Add(-1);
                reasons.Add(e.Message);
            }
        }

        if (reasons.Count == 0)
        {
            reasons.AddRange(Compare(sequences));
        }

        return new(reasons.Count == 0, sequences, reasons.Count == 0 ? null : string.Join("; ", reasons));
    }

    private static IEnumerable<string> Compare(List<long> sequences)
    {
        if (sequences[0] == 0 && sequences.All(s => s == 0))
        {
            yield return "no disk has a record: the guest never wrote, so these disks prove nothing";
        }

        for (var i = 1; i < sequences.Count; i++)
        {
            if (sequences[i] > sequences[i - 1])
            {
                yield return $"disk {i + 1} has record {sequences[i]}, but disk {i}, which is written before it, only {sequences[i - 1]}";
            }
        }

        if (sequences[0] - sequences[^1] > 1)
        {
            yield return $"disk {sequences.Count} has only record {sequences[^1]} while disk 1 has {sequences[0]}: at one moment they differ by at most 1";
        }
    }
}
