using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Unit;

/// <summary>The image property that gives a server a freeze deadline of its own.</summary>
public sealed class BoundingAServersFreeze
{
    [Theory]
    [InlineData(null, null)]
    [InlineData("1", 1.0)]
    [InlineData("2.5", 2.5)]
    [InlineData("60", 60.0)]
    public void The_property_is_a_number_of_seconds(string? text, double? seconds) => Assert.Equal(seconds, Server(text).RequestedFreezeDeadline?.TotalSeconds);

    [Theory]
    [InlineData("")]
    [InlineData("0")]
    [InlineData("60.1")]
    [InlineData("-1")]
    [InlineData("NaN")]
    [InlineData("8 s")]
    [InlineData("00:00:08")]
    public void Anything_else_is_refused_with_the_property_and_its_bounds(string text)
    {
        var refusal = Assert.Throws<SnapshotFlowException>(() => Server(text).RequestedFreezeDeadline);
        Assert.Equal(ErrorKind.InvalidRequest, refusal.Kind);
        Assert.Contains($"snapshotflow_freeze_deadline = '{text}'", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("between 1 and 60", refusal.Message, StringComparison.Ordinal);
    }

    private static Server Server(string? text) => new()
    {
        Id = ServerId.New(),
        ProjectId = "project",
        UserId = "user",
        Name = "server",
        VmState = VmState.Active,
        SystemMetadata = text is null ? new Dictionary<string, string?>() : new Dictionary<string, string?> { ["image_snapshotflow_freeze_deadline"] = text },
    };
}
