using System.Diagnostics;

namespace SnapshotFlow.Telemetry;

/// <summary>The names under which the product's own spans and metrics are made.</summary>
public static class TelemetrySources
{
    /// <summary>Spans of calls to Temporal.</summary>
    public const string Client = "SnapshotFlow.Temporal.Client";

    /// <summary>Spans of workflows.</summary>
    public const string Workflow = "SnapshotFlow.Temporal.Workflow";

    /// <summary>Spans of activities.</summary>
    public const string Activity = "SnapshotFlow.Temporal.Activity";

    /// <summary>Every source and meter of the product begins with this.</summary>
    public const string Prefix = "SnapshotFlow.";

    internal static readonly ActivitySource ClientSource = new(Client);
    internal static readonly ActivitySource WorkflowSource = new(Workflow);
    internal static readonly ActivitySource ActivitySource = new(Activity);
}
