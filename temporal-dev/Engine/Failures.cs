namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>Failures that the server itself writes. Their source is always <c>Server</c>.</summary>
internal static class Failures
{
    private const string Source = "Server";

    public static Failure ActivityTimeout(TimeoutType type, PendingActivity activity) => new()
    {
        Message = $"activity {type} timeout",
        Source = Source,
        TimeoutFailureInfo = new TimeoutFailureInfo { TimeoutType = type, LastHeartbeatDetails = activity.HeartbeatDetails },
    };

    public static Failure WorkflowTimeout() => new()
    {
        Message = "workflow timeout",
        Source = Source,
        TimeoutFailureInfo = new TimeoutFailureInfo { TimeoutType = TimeoutType.StartToClose },
    };

    /// <summary>Texts: source: Temporal history service.</summary>
    public static Failure TooLarge(string what, bool nonRetryable = true) => OfServer($"{what} exceeds size limit.", nonRetryable);

    public static Failure OfServer(string message, bool nonRetryable = true) => new()
    {
        Message = message,
        Source = Source,
        ServerFailureInfo = new ServerFailureInfo { NonRetryable = nonRetryable },
    };

    public static Failure Application(string message, string type) => new()
    {
        Message = message,
        Source = Source,
        ApplicationFailureInfo = new ApplicationFailureInfo { Type = type, NonRetryable = true },
    };
}
