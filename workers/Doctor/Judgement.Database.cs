using System.Globalization;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Workers.Doctor;

public static partial class Judgement
{
    private const int OldestMajor = 14;
    private const double ConnectionsWarningShare = 0.8;
    private static readonly TimeSpan LongestLag = TimeSpan.FromMinutes(5);

    /// <summary>The database server's version.</summary>
    public static Diagnosis Server(string where, Version version) => version.Major >= OldestMajor
        ? Diagnosis.Ok("database", where, $"PostgreSQL {version} answers")
        : Diagnosis.Warning("database", where, $"PostgreSQL {version} is older than what this is proven with", $"upgrade to {OldestMajor} or later");

    /// <summary>Connections of all its clients.</summary>
    public static Diagnosis Connections(string where, int used, int most) => used < ConnectionsWarningShare * most
        ? Diagnosis.Ok("database", where, $"{used} of {most} connections are used")
        : Diagnosis.Warning("database", where, $"{used} of {most} connections are used", "raise max_connections, or lower Maximum Pool Size in Store__ConnectionString");

    /// <summary>Hosts and back ends that the records name.</summary>
    public static Diagnosis Places(int count) => count > 0
        ? Diagnosis.Ok("records", "places", $"{count} hosts and back ends have to be served")
        : Diagnosis.Warning("records", "places", "no server and no volume is registered, so no host and no back end is looked at", "register them: ./snapshotflow import FILE (docs/inventory.md)");

    /// <summary>What the records say about the product.</summary>
    public static IEnumerable<Diagnosis> Records(Standing levels, DateTimeOffset now)
    {
        yield return levels.WithLeftovers == 0
            ? Diagnosis.Ok("records", "runs", $"{levels.Running} go on, none left anything behind")
            : Diagnosis.Warning("records", "runs", $"{levels.WithLeftovers} left something behind", "see GET /runs?status=compensation_failed&all_projects=1 and the runbook's leftovers");
        yield return levels.Findings.Sum(f => f.Value) == 0
            ? Diagnosis.Ok("records", "findings", "the reconciler has found nothing out of order")
            : Diagnosis.Warning("records", "findings", string.Join(", ", levels.Findings.Select(f => $"{f.Value} {f.Key.ToText()}")), "see GET /admin/findings?open=1 and the runbook's findings");
        var lag = levels.OldestUndeliveredAt is { } oldest ? now - oldest : TimeSpan.Zero;
        yield return lag < LongestLag
            ? Diagnosis.Ok("records", "notifications", $"{levels.Undelivered} wait to be delivered")
            : Diagnosis.Warning(
                "records", "notifications", string.Create(CultureInfo.InvariantCulture, $"the oldest of {levels.Undelivered} has waited {lag.TotalMinutes:0} min"),
                "see what the control workers log about Notifications__WebhookUrl");
    }
}
