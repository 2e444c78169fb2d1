namespace SnapshotFlow.Drivers.Qga;

/// <summary>How long to wait for QEMU guest agents.</summary>
public sealed class QgaOptions
{
    /// <summary>
    /// Deadline of one probe, thaw or status call, from waiting for the channel to the last answer. More than 0, at most 60 s. Default 5 s.
    /// </summary>
    public TimeSpan CallTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Deadline of one freeze call, in the same way. It should not be longer than the freeze deadline of a run. More than 0, at most 60 s. Default 8 s.
    /// </summary>
    public TimeSpan FreezeTimeout { get; set; } = TimeSpan.FromSeconds(8);

    /// <summary>Everything that is wrong, one message per key, each beginning with the key's path; empty when it can work.</summary>
    /// <param name="section">Configuration path of these options, without the trailing colon.</param>
    public IReadOnlyList<string> Validate(string section) =>
    [
        .. from key in new[] { (Name: nameof(CallTimeout), Value: CallTimeout), (Name: nameof(FreezeTimeout), Value: FreezeTimeout) }
           where key.Value <= TimeSpan.Zero || key.Value > TimeSpan.FromSeconds(60)
           select $"{section}:{key.Name}: {key.Value} is not more than 0 and at most 00:01:00",
    ];
}
