using SnapshotFlow.TemporalDev.Hosting;

namespace SnapshotFlow.Tests.TemporalDev.Hosting;

public sealed class TheCommandLine
{
    [Fact]
    public void What_the_SDK_passes_to_a_developer_server_is_understood()
    {
        // Section 16, as observed with SDK 1.21.1.
        var options = CommandLine.Parse(
        [
            "server", "start-dev", "--port", "7301", "--namespace", "mine", "--ip", "127.0.0.1", "--log-format", "pretty", "--log-level", "warn",
            "--dynamic-config-value", "frontend.enableServerVersionCheck=false", "--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=50",
            "--headless", "--search-attribute", "Step=Keyword", "--search-attribute", "Size=Int",
        ]);
        Assert.NotNull(options);
        Assert.False(options.IsTestServer);
        Assert.Equal(7301, options.Port);
        Assert.Equal(["mine"], options.Namespaces);
        Assert.Equal(50, options.Engine.SuggestContinueAsNewAt);
        Assert.Equal("Keyword", options.SearchAttributes["Step"]);
        Assert.Equal("Int", options.SearchAttributes["Size"]);
    }

    [Fact]
    public void A_port_alone_is_a_test_server()
    {
        var options = CommandLine.Parse(["7302", "--enable-time-skipping"]);
        Assert.NotNull(options);
        Assert.True(options.IsTestServer);
        Assert.True(options.StartUnlocked);
        Assert.Equal(7302, options.Port);
    }

    [Fact]
    public void Flags_of_the_official_servers_that_mean_nothing_here_are_ignored()
    {
        var options = CommandLine.Parse(["server", "start-dev", "--ui-port", "8233", "--some-new-flag", "value", "--another=1", "--port", "7303"]);
        Assert.Equal(7303, options!.Port);
    }

    [Fact]
    public void Help_is_asked_for_by_nothing_and_by_its_flag()
    {
        Assert.Null(CommandLine.Parse([]));
        Assert.Null(CommandLine.Parse(["server", "start-dev", "--help"]));
    }

    [Theory]
    [InlineData("prot", "neither a port nor a command")]
    [InlineData("server start-dev --port many", "--port many")]
    [InlineData("server start-dev --port 99999", "--port 99999")]
    [InlineData("server start-dev --port", "--port needs a value")]
    [InlineData("server start-dev --search-attribute Step", "Name=Type")]
    [InlineData("server start-dev --dynamic-config-value limit.blobSize.error=big", "limit.blobSize.error=big")]
    [InlineData("server start-dev --config /no/such/file.yaml", "/no/such/file.yaml")]
    public void A_mistake_is_named(string line, string named)
    {
        var error = Assert.Throws<UsageException>(() => CommandLine.Parse(line.Split(' ')));
        Assert.Contains(named, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Flags_win_over_the_configuration_file()
    {
        var file = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid()}.yaml");
        File.WriteAllText(file, """
            namespace: from-file
            port: 7304
            retention: 2d
            search_attributes:
              Step: Keyword
            something_else: ignored
            """);
        try
        {
            var options = CommandLine.Parse(["server", "start-dev", "--port", "7305", "--config", file])!;
            Assert.Equal(7305, options.Port);
            Assert.Equal(["from-file"], options.Namespaces);
            Assert.Equal(TimeSpan.FromDays(2), options.Retention);
            Assert.Equal("Keyword", options.SearchAttributes["Step"]);
            Assert.Equal(7304, CommandLine.Parse(["server", "start-dev", "--config", file])!.Port);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
