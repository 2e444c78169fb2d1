using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Workflows;

namespace SnapshotFlow.Tests.Unit;

/// <summary><c>temporal-dev.yaml</c> says what the code does: names exist once in code, and once for people.</summary>
public sealed class DevelopmentEnvironmentTests
{
    private static readonly TemporalDevSettings Settings = TemporalDevSettings.Load();

    [Fact]
    public void Every_search_attribute_of_the_code_is_registered_and_no_other() => Assert.Equal(
        SearchAttributes.All.ToDictionary(a => a.Name, a => a.ValueType.ToString()),
        Settings.SearchAttributes);

    [Fact]
    public void Task_queues_are_named_as_the_code_names_them() => Assert.Equal(
        new Dictionary<string, string>
        {
            ["control"] = Names.ControlQueue,
            ["compute"] = Names.ComputeQueue("{host}"),
            ["volume"] = Names.VolumeQueue("{host}@{backend}"),
        },
        Settings.TaskQueues);

    [Fact]
    public void The_demo_starts_the_embedded_server_on_free_ports()
    {
        Assert.Equal(TemporalChoice.Embedded, Settings.Server);
        Assert.Equal((0, 0, 0), (Settings.Ports.Temporal, Settings.Ports.Api, Settings.Ports.Postgres));
        Assert.Equal(TimeSpan.FromHours(72), Settings.RetentionPeriod);
    }

    [Theory]
    [InlineData("retention: soon", "retention: 'soon'")]
    [InlineData("server: cloud", "line 1")]
    [InlineData("servre: embedded", "servre")]
    public void A_wrong_key_or_value_is_named(string yaml, string named)
    {
        var path = Path.GetTempFileName();
        File.WriteAllText(path, yaml);

        var refusal = Assert.Throws<StackException>(() => TemporalDevSettings.Load(path));

        Assert.Contains(named, refusal.Message, StringComparison.Ordinal);
        Assert.Contains(path, refusal.Message, StringComparison.Ordinal);
        File.Delete(path);
    }
}
